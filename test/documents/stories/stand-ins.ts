/** What stands in, for a reader of the documents, for programs that would change this machine or are not here. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'
import { SENSOR_IMAGE, SURICATA_IMAGE } from '../../lab/docker/sensor-images.ts'

/** What Compose is called with, of examples. */
const composeFiles = ['examples/compose/compose.yaml', 'examples/compose/balance/compose.yaml']

/** Their services, as far as a test can have them. */
const composeFile = z.strictObject({
  name: z.string(),
  services: z.record(
    z.string(),
    z.strictObject({
      image: z.string(),
      scale: z.int().optional(),
      command: z.string(),
      working_dir: z.string().optional(),
      networks: z.tuple([z.literal('span')]),
      cap_drop: z.tuple([z.literal('ALL')]),
      cap_add: z.array(z.string()),
      security_opt: z.array(z.string()),
      restart: z.string(),
      healthcheck: z
        .strictObject({
          test: z.tuple([z.literal('CMD'), z.literal('suricatasc'), z.literal('-c'), z.literal('uptime')]),
          interval: z.string(),
          timeout: z.string(),
          retries: z.int(),
          start_period: z.string()
        })
        .optional(),
      volumes: z.array(z.string())
    })
  ),
  networks: z.strictObject({ span: z.strictObject({ name: z.string(), external: z.literal(true) }) }),
  volumes: z.record(z.string(), z.null())
})

/** What Compose does for the services of a file, with the sensor image under the names of the real ones. */
function upServices(file: string): string[] {
  const { name, services, networks } = composeFile.parse(parse(readFileSync(file, 'utf8')))
  return Object.entries(services).map(([key, service]) => {
    const each = (flag: string, values: readonly string[]) => values.map((value) => `--${flag} ${value}`)
    const options = [
      ...[`--network ${networks.span.name}`, `--restart ${service.restart}`],
      ...each('label', [`com.docker.compose.project=${name}`, `com.docker.compose.service=${key}`]),
      ...each('cap-drop', service.cap_drop),
      ...each('cap-add', service.cap_add),
      ...each('security-opt', service.security_opt),
      ...each('volume', service.volumes),
      // The sensor image has no suricatasc, and nothing to load.
      ...(service.healthcheck ? ['--health-cmd true --health-interval 1s'] : []),
      ...each('workdir', service.working_dir === undefined ? [] : [service.working_dir])
    ]
    return `  "$docker" tag ${SENSOR_IMAGE} ${service.image}
  scale ${name}-${key} "\${scales[${key}]:-${service.scale ?? 1}}" ${options.join(' ')} ${service.image} sleep infinity`
  })
}

/** Compose: starts the containers that a service lacks, and removes those that it has too many of. */
const compose = `[[ $2 == -f && -f $3 && "$4 $5" == 'up -d' ]]
declare -A scales=()
if (( $# > 5 )); then [[ $# == 7 && $6 == --scale ]] && scales[\${7%=*}]=\${7#*=}; fi
scale() {
  local number=1 name=$1 count=$2
  for (( ; number <= count; number++ )); do
    "$docker" inspect "$name-$number" &>/dev/null || "$docker" run --detach --stop-signal SIGKILL \\
      --name "$name-$number" --label com.docker.compose.container-number="$number" "\${@:3}"
  done
  # An apply that found some of them healthy would give these all flows.
  for (( number = 1; number <= count; number++ )); do
    while [[ $("$docker" inspect --format '{{json .State.Health}}' "$name-$number") == *'"starting"'* ]]; do sleep 0.1; done
  done
  while "$docker" inspect "$name-$number" &>/dev/null; do "$docker" rm --force "$name-$((number++))"; done
}
case $3 in
${composeFiles.map((file) => [`${file})`, ...upServices(file)].join('\n')).join(' ;;\n')} ;;
esac`

export function dockerStandIn(docker: string): string {
  return `docker=${docker}
if [[ $1 == build ]]; then
  [[ "$*" == 'build -t ids -' && $(cat) == 'FROM debian:'*'RUN apt-get update && apt-get install '*suricata* ]]
  exec "$docker" tag ${SURICATA_IMAGE} ids
fi
[[ $1 == compose ]] || exec "$docker" "$@"
${compose}`
}

/** Runs what the units start, in an environment as bare as systemd's: a watch goes on, a timer's service comes once. */
export function systemctlStandIn(root: string, environment: Readonly<Record<string, string>>): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  return `[[ $* != daemon-reload ]] || exit 0
units=${root}/etc/systemd/system
own() { sed -n "s/^$1=//p" "$2" | sed 's#/etc/#${root}/etc/#g'; }
run() { cd / && exec env -i ${variables.join(' ')} $(own Environment "$1") bash -c "exec $(own ExecStart "$1")"; }
if [[ $1 == restart ]]; then
  kill -KILL $(<${root}/watch.pid) && tail --pid=$(<${root}/watch.pid) -f /dev/null
fi
[[ $1 == start || $1 == restart ]] && set -- enable --now "$2"
[[ $1 == enable && $2 == --now ]]
for unit in "\${@:3}"; do
  [[ -f $units/$unit ]]
  service=$units/\${unit%.*}.service
  if grep -q '^Type=notify$' "$service"; then
    run "$service" </dev/null &>${root}/watch.log &
    echo $! >${root}/watch.pid
  else
    (run "$service")
  fi
done`
}

/** Runs the interface's post-up as ifupdown does: by sh. */
export function ifupStandIn(root: string): string {
  return `file=${root}/etc/network/interfaces.d/span
grep -q "^iface $1 inet manual$" "$file"
line=$(grep -Po '^ +post-up \\K.*' "$file")
as-hook IFACE="$1" MODE=start PHASE=post-up /bin/sh -c "$line"`
}

/** Runs a command with the search path that ifupdown gives a hook, and little else in its environment. */
export function hookStandIn(root: string): string {
  const path = [join(root, 'bin'), '/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
  return `exec env -i PATH=${path.join(':')} SPANPLAN_FILE=${join(root, 'etc/spanplan')} "$@"`
}

/** Prints the page whose address comes last. */
export const curlStandIn = `exec ${process.execPath} --eval '
fetch(process.argv.at(-1)).then(async (page) => process.stdout.write(await page.text()))' -- "$@"`
