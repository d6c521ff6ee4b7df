/** Renders a time in this host's time zone, as `12:03:10`; with the date where that is not today. */
export function localTime(time: string): string {
  // The Swedish locale writes dates as ISO 8601 does.
  const [day = '', hour = ''] = new Date(time).toLocaleString('sv-SE').split(' ')
  return day === new Date().toLocaleDateString('sv-SE') ? hour : `${day} ${hour}`
}
