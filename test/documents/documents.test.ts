/** README.md and docs/ can be read: every link leads somewhere, and every command is one that a test runs. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { expect, test } from 'vitest'
import { blocks, documents, isRunnable } from './stories/document.ts'
import { howtos } from './stories/howtos.ts'
import { readme } from './stories/readme.ts'
import { troubleshooting } from './stories/troubleshooting.ts'
import { tutorial } from './stories/tutorial.ts'

/** Commands that no test runs, and why. */
const aside: Readonly<Record<string, string>> = {
  'sudo apt-get install -y nodejs npm iproute2 ethtool procps util-linux tcpdump nftables bpftool docker.io':
    'would install packages on this machine',
  'sudo apt-get install -y nodejs npm debhelper elfutils': 'the same',
  'npm ci': 'the same, where the package is made and installed by test/packages/debian.long.test.ts',
  'npm run release': 'the same',
  'sha256sum --check --ignore-missing SHA256SUMS': 'the same',
  'sudo apt-get install ./spanplan_*_amd64.deb': 'the same',
  'sudo apt-get install ./spanplan_*_all.deb': 'the same',
  'sudo tar -xf spanplan-*-linux-x64.tar.xz -C /opt': 'the same',
  'sudo ln -s /opt/spanplan-*-linux-x64/bin/spanplan /usr/local/bin/': 'the same',
  'sudo systemctl enable --now spanplan.service': 'the same',
  'sudo spanplan plan -f new.yaml --install /etc/spanplan/spans.yaml':
    'needs a systemd: test/apply/confirm-window.long.test.ts runs the same',
  'sudo spanplan apply -f new.yaml --install /etc/spanplan/spans.yaml --rollback-after 2m --detach': 'the same',
  'sudo spanplan confirm': 'the same',
  'sudo spanplan rollback': 'the same',
  'sudo spanplan apply -f new.yaml --install /etc/spanplan/spans.yaml': 'the same',
  'ansible-playbook site.yml --check --diff': 'needs a fleet, on which test/fleet/fleet.long.test.ts runs it',
  'ansible-playbook site.yml': 'the same',
  'ansible-playbook rollout.yml': 'the same',
  'ansible-playbook drift.yml': 'the same',
  'sudo apt-get install ./spanplan_*_all.deb ansible-core git':
    'would install packages on this machine; test/fleet/fleet.long.test.ts does the like',
  'cp -r /usr/share/doc/spanplan/examples/fleet ~/fleet': 'the same',
  'cd ~/fleet && git init': 'the same',
  'ansible-doc --type role spanplan.spanplan.spanplan': 'the same',
  'sudo mkdir /etc/spanplan-pull': 'the same',
  'sudo cp allowed_signers /etc/spanplan-pull/': 'the same',
  'echo REPOSITORY=https://git.example.com/network/fleet.git | sudo tee /etc/spanplan-pull/environment': 'the same',
  'sudo cp /usr/share/doc/spanplan/examples/fleet/systemd/* /etc/systemd/system/': 'the same',
  'sudo systemctl daemon-reload': 'the same',
  'sudo systemctl enable --now spanplan-ansible-pull.timer': 'the same',
  'git config gpg.format ssh': 'the same',
  'git config user.signingKey ~/.ssh/id_ed25519.pub': 'the same',
  'git config commit.gpgSign true': 'the same',
  'sudo systemctl enable --now podman.socket':
    'needs a systemd and Podman; test/sensors/podman.long.test.ts applies spans to Podman',
  'sudo env DOCKER_HOST=unix:///run/podman/podman.sock spanplan apply': 'the same',
  'docker exec suricata grep capture.kernel /var/log/suricata/stats.log':
    'README.md has the same, and its test runs it',
  'docker exec suricata suricatasc -c dump-counters':
    'needs a tool that is not here: these are as its own documentation says',
  'docker exec zeek tail -n 3 stats.log capture_loss.log': 'the same',
  'docker exec zeek zeekctl netstats': 'the same',
  'docker kill --signal USR1 snort': 'the same',
  'docker logs --tail 100 snort': 'the same',
  'sudo npm run bench': 'measures for a quarter of an hour, and needs a machine of its own',
  'sudo npm run bench -- start': 'the same',
  'sudo npm run bench -- datapath --json': 'the same'
}

/** Without its fenced blocks. */
const prose = (document: string) => readFileSync(document, 'utf8').replace(/^( *)```[\s\S]*?^\1```$/gm, '')

/** The names by which GitHub knows a page's headings. */
function anchorsOf(document: string): string[] {
  const headings = [...prose(document).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading)
  const explicit = [...prose(document).matchAll(/<a (?:id|name)="([^"]+)">/g)].map(([, name = '']) => name)
  const slugs = headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  )
  const times = new Map<string, number>()
  return [
    ...slugs.map((slug) => {
      const count = times.get(slug) ?? 0
      times.set(slug, count + 1)
      return count === 0 ? slug : `${slug}-${count}`
    }),
    ...explicit
  ]
}

test.each(documents)('%s: every link leads to a file, and to a heading of it', (document) => {
  const links = [...prose(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  const broken = links.filter((link) => {
    if (/^https?:/.test(link)) return false
    const [path = '', anchor] = link.split('#')
    const file = path === '' ? document : normalize(join(dirname(document), path))
    if (!existsSync(file)) return true
    return anchor !== undefined && !anchorsOf(file).includes(anchor)
  })
  expect(broken).toEqual([])
})

test('no line of README.md has more than 100 columns', () => {
  const lines = readFileSync('README.md', 'utf8').split('\n')
  // A row of the plan, as plan prints it.
  const wide = lines.filter((line) => [...line].length > 100 && !line.endsWith("no address of the host's"))
  expect(wide).toEqual([])
})

test('every page of docs/ is in the index, docs/README.md, to which README.md leads', () => {
  expect(prose('README.md')).toContain('](docs/README.md)')
  const text = prose('docs/README.md')
  const pages = documents.filter((document) => document.startsWith('docs/') && document !== 'docs/README.md')
  expect(pages.filter((page) => !text.includes(`](${relative('docs', page)})`))).toEqual([])
  expect(prose('README.md')).toContain('](SECURITY.md)')
})

test('README.md is read in two minutes: it has some 200 lines', () => {
  expect(readFileSync('README.md', 'utf8').split('\n').length).toBeLessThanOrEqual(221)
})

test('every block of commands has a test that runs it, or a reason why none does', () => {
  const stories: Readonly<Record<string, object>> = { ...readme, ...howtos, ...tutorial, ...troubleshooting }
  const runnable = blocks.filter((block) => isRunnable(block) && !block.document.startsWith('docs/reference/'))
  const isAside = (text: string) =>
    text
      .trim()
      .split('\n')
      .every((line) => line in aside)
  const told = new Set(
    runnable.filter(({ text }) => !isAside(text)).map(({ document, heading }) => `${document}: ${heading}`)
  )
  const run = Object.entries(stories).flatMap(([document, ofIt]) =>
    Object.keys(ofIt).map((heading) => `${document}: ${heading}`)
  )
  expect([...told].sort()).toEqual(run.sort())
  const lines = runnable.flatMap(({ text }) => text.trim().split('\n'))
  expect(Object.keys(aside).filter((line) => !lines.includes(line))).toEqual([])
})
