/** `12:03:10`, by this host's clock; with the date if that is another day's. */
export function localTime(time: string): string {
  // Swedes write dates as ISO 8601 does.
  const [day = '', hour = ''] = new Date(time).toLocaleString('sv-SE').split(' ')
  return day === new Date().toLocaleDateString('sv-SE') ? hour : `${day} ${hour}`
}
