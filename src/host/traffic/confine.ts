/** The number of nobody and of nogroup. */
const nobody = '65534'

/**
 * What tcpdump runs behind: it decodes frames from anybody. So it runs as nobody, with no capability but CAP_NET_RAW, and the kernel
 * kills it when this process ends. tcpdump's own -Z does not do: a process that changes its user loses PR_SET_PDEATHSIG (prctl(2)).
 */
export const confine = [
  ...(['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--no-new-privs'] as const),
  ...['--inh-caps=-all,+net_raw', '--ambient-caps=-all,+net_raw', '--pdeathsig=KILL', '--']
] as const
