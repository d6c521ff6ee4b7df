/** Errors of files: how they are read, YAML, keys and values. Each code has what it means, and what to do about it. */
export const specErrors = {
  // The files.
  FILE_MISSING: [
    'No file was named, and there is none where spanplan looks.',
    'Name the file with --file, or put it at ./spans.yaml or into /etc/spanplan.'
  ],
  FILE_UNREADABLE: [
    'A file or a folder cannot be read, or the folder has no *.yaml file.',
    'Check the path and the permissions that the message names.'
  ],
  FILE_INSECURE: [
    'Root would do what the file says, and others than root can write to the file or to its folder. For --install, this includes the folders above.',
    'Run the command of the hint, which takes that right away. Use --insecure-file only if you trust them all.'
  ],
  FILE_EXISTS: [
    'init was to write a file where there is one already, or beside files in /etc/spanplan. It never overwrites one.',
    'Edit the file that is there, or name another one with --file.'
  ],
  FILE_UNWRITABLE: [
    'A plan (--out), a capture (--write), the file of --install, that of init or a pause cannot be written.',
    'Name a file that does not exist yet or is yours, in a folder to which you may write.'
  ],
  FILE_CHANGED: [
    'Somebody else changed the file of --install between the plan and the installation, or a file while --wait waited. That change stays.',
    'Look at the file, and bring both changes together. Then run the apply again.'
  ],
  INSTALL_AMBIGUOUS: [
    '--install puts one file in its place, and -f names none, several, or a folder.',
    'Name one file with -f, or - for stdin.'
  ],
  INSTALL_UNREAD: [
    'The file of --install would be in the folder that spanplan reads, with a name that is not read there.',
    'Give it a name that ends in .yaml.'
  ],
  FILE_EMPTY: [
    'There is nothing in the file. That says neither that spans are wanted nor that none are.',
    'Write the spans. If there are to be none, write "spans: {}".'
  ],
  FILE_NOT_UTF8: ['The file is not encoded in UTF-8.', 'Save the file as UTF-8.'],
  FILE_TOO_LARGE: ['The file is far larger than a spans.yaml can be.', 'Check whether the path is the right one.'],
  LINK_INVALID: [
    'A symbolic link leads out of the folder of the file, to what is no valid file. Nothing of it is printed, for whoever made the link may not read it.',
    'Run spanplan validate with the path to which the link leads.'
  ],
  FOLDER_TOO_LARGE: [
    'The folder has more than 100 files, or more than 10 MiB of them: it is not one of spans.yaml files.',
    'Check whether the path is the right one, or name single files with -f.'
  ],
  EMPTY_REFUSED: [
    'The file has no spans, and --allow-empty was not given: apply does not remove every span.',
    'If every span is to go, use --allow-empty or destroy. If not, repair the file.'
  ],
  // YAML.
  YAML_SYNTAX: [
    'The file is not valid YAML at this place.',
    'Check the indentation, quotes and brackets in this line and in the line before.'
  ],
  YAML_TAB: ['There is a tab where YAML takes spaces only.', 'Indent with spaces.'],
  YAML_TAG: [
    'A value begins with "!". YAML reads that as a tag; a text was meant.',
    'Put the value in quotes: filter: "!tcp".'
  ],
  YAML_ANCHOR: ['A value begins with "&". YAML reads that as an anchor; a text was meant.', 'Put the value in quotes.'],
  YAML_ALIAS: [
    'An alias (*name) has no anchor (&name) before it, or stands inside its own anchor.',
    'Define the anchor before the alias. If a text was meant, put the text in quotes.'
  ],
  YAML_BOMB: [
    'Aliases or nesting make the file far larger than it looks.',
    'Write the values out in place of the aliases.'
  ],
  YAML_CHARACTER: [
    'There is a typographic quote, a no-break space, a dash or the like where YAML or a filter takes plain ones.',
    'Write the plain character that the message names.'
  ],
  YAML_DOCUMENTS: [
    'The file has more than one YAML document (a line "---").',
    'Remove the line, or make a file of each document.'
  ],
  YAML_VERSION: ['A %YAML line asks for a version other than 1.2.', 'Remove the line.'],
  YAML_DUPLICATE_KEY: ['A mapping has the same key twice.', 'Remove or rename one of them.'],
  // Keys and values.
  KEY_UNKNOWN: [
    'There is no such key at this place.',
    'Use the key that the message suggests, or see spanplan help spans.yaml.'
  ],
  KEY_UNSUPPORTED: [
    'The key stands for something that spanplan does not do.',
    'Remove the key. The message says what does it instead.'
  ],
  KEY_MISSING: ['A required key is missing.', 'Add the key that the message names.'],
  VALUE_TEMPLATE: [
    'A variable or a template, such as $NAME or {{ name }}, was not filled in. spanplan fills in none.',
    'Write the value, or have the file filled in before spanplan reads it.'
  ],
  VALUE_MISSING: ['A key has no value.', 'Write a value, or remove the key.'],
  VALUE_INVALID: ['A value is not what the key takes.', 'Write what the message names.'],
  NAME_INVALID: [
    'The kernel or Docker would refuse the name, or take it for something else.',
    'Choose another name; the message says what a name may have.'
  ],
  NAME_TOO_LONG: ['The name is longer than the kernel or Docker allows.', 'Choose a shorter name.'],
  NAME_DIFFERS: [
    'Several files are read together, and have different values of "name".',
    'Give the files one name, or apply them one by one.'
  ],
  FORMERLY_APART: [
    'Several files are read together, and "formerly" is not in the one that has "name".',
    'Write "formerly" beside "name".'
  ],
  FORMERLY_NOW: [
    'A name is under "formerly" that is the "name" of the file now.',
    'Take it out of "formerly", or change "name".'
  ],
  NAME_CHANGED: [
    'The watched file has a "name" other than the one with which the watch began, and does not say that it had that before.',
    'Write the name from before under "formerly", or restore it.'
  ],
  SUBNET_INVALID: [
    'The value is not an IPv4 prefix from /8 to /29 that a network can use.',
    'Write a prefix such as 198.18.0.0/26, or remove the key: spanplan then chooses a free one.'
  ],
  SUBNET_OVERLAP: [
    'The subnets of two spans overlap.',
    'Change one of them, or remove the key: spanplan then chooses a free one.'
  ],
  SUBNET_TAKEN: [
    'The subnet of a span overlaps that of another Docker network, which Docker would refuse.',
    'Choose another subnet, or remove the key: spanplan then chooses a free one.'
  ],
  BRIDGE_TWICE: [
    'Two spans have the same bridge.',
    'Give one of them another bridge. Without the key "bridge", it has the name of the span.'
  ],
  BRIDGE_CONFUSING: [
    'The bridge of a span has the name of another span, which has another bridge. Nobody could tell what the name means.',
    'Give that other span, or the bridge, another name.'
  ],
  SPAN_TWICE: ['Two spans have the same name.', 'Rename one of them; the message names both places.'],
  SPAN_UNKNOWN: [
    'Neither the file nor the host has a span of this name.',
    'Check the name; the message lists the spans that there are.'
  ],
  SPAN_NOT_LIVE: ['The span is in the file, and not on this host yet.', 'Run spanplan apply first.'],
  SPAN_GONE: ['The span was removed or recreated while it was being captured.', 'Start the capture again.'],
  TUNNEL_DIFFERS: [
    'Two sources end in one interface, for the kernel has one for both: for an id and a port of a VXLAN, or for the addresses and the key or session of a tunnel of GRE. They differ in something else.',
    'Write the same in both, or have the senders send to two.'
  ]
} as const
