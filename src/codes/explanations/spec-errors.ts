import type { MessageText } from './message-text.ts'

/** Errors of files: how they are read, YAML, keys and values. */
export const specErrors = {
  // The files.
  FILE_MISSING: {
    means: 'No file was named, and there is none where spanplan looks.',
    todo: 'Name the file with --file, or put it at ./spans.yaml or into /etc/spanplan.'
  },
  FILE_UNREADABLE: {
    means: 'A file or a folder cannot be read, or the folder has no *.yaml file.',
    todo: 'Check the path and the permissions that the message names.'
  },
  FILE_INSECURE: {
    means:
      'Root would do what the file says, and others than root can write to the file or to its folder. For --install, this includes the folders above.',
    todo: 'Run the command of the hint, which takes that right away. Use --insecure-file only if you trust them all.'
  },
  FILE_UNWRITABLE: {
    means: 'A plan (--out), a capture (--write), the file of --install or a pause cannot be written.',
    todo: 'Name a file that does not exist yet or is yours, in a folder to which you may write.'
  },
  FILE_CHANGED: {
    means:
      'Somebody else changed the file of --install between the plan and the installation, or a file while --wait waited. That change stays.',
    todo: 'Look at the file, and bring both changes together. Then run the apply again.'
  },
  INSTALL_AMBIGUOUS: {
    means: '--install puts one file in its place, and -f names none, several, or a folder.',
    todo: 'Name one file with -f, or - for stdin.'
  },
  INSTALL_UNREAD: {
    means: 'The file of --install would be in the folder that spanplan reads, with a name that is not read there.',
    todo: 'Give it a name that ends in .yaml.'
  },
  FILE_EMPTY: {
    means: 'There is nothing in the file. That says neither that spans are wanted nor that none are.',
    todo: 'Write the spans. If there are to be none, write "spans: {}".'
  },
  FILE_NOT_UTF8: {
    means: 'The file is not encoded in UTF-8.',
    todo: 'Save the file as UTF-8.'
  },
  FILE_TOO_LARGE: {
    means: 'The file is far larger than a spans.yaml can be.',
    todo: 'Check whether the path is the right one.'
  },
  LINK_INVALID: {
    means:
      'A symbolic link leads out of the folder of the file, to what is no valid file. Nothing of it is printed, for whoever made the link may not read it.',
    todo: 'Run spanplan validate with the path to which the link leads.'
  },
  FOLDER_TOO_LARGE: {
    means: 'The folder has more than 100 files, or more than 10 MiB of them: it is not one of spans.yaml files.',
    todo: 'Check whether the path is the right one, or name single files with -f.'
  },
  EMPTY_REFUSED: {
    means: 'The file has no spans, and --allow-empty was not given: apply does not remove every span.',
    todo: 'If every span is to go, use --allow-empty or destroy. If not, repair the file.'
  },
  // YAML.
  YAML_SYNTAX: {
    means: 'The file is not valid YAML at this place.',
    todo: 'Check the indentation, quotes and brackets in this line and in the line before.'
  },
  YAML_TAB: {
    means: 'There is a tab where YAML takes spaces only.',
    todo: 'Indent with spaces.'
  },
  YAML_TAG: {
    means: 'A value begins with "!". YAML reads that as a tag; a text was meant.',
    todo: 'Put the value in quotes: filter: "!tcp".'
  },
  YAML_ANCHOR: {
    means: 'A value begins with "&". YAML reads that as an anchor; a text was meant.',
    todo: 'Put the value in quotes.'
  },
  YAML_ALIAS: {
    means: 'An alias (*name) has no anchor (&name) before it, or stands inside its own anchor.',
    todo: 'Define the anchor before the alias. If a text was meant, put the text in quotes.'
  },
  YAML_BOMB: {
    means: 'Aliases or nesting make the file far larger than it looks.',
    todo: 'Write the values out in place of the aliases.'
  },
  YAML_CHARACTER: {
    means:
      'There is a typographic quote, a no-break space, a dash or the like where YAML or a filter takes plain ones.',
    todo: 'Write the plain character that the message names.'
  },
  YAML_DOCUMENTS: {
    means: 'The file has more than one YAML document (a line "---").',
    todo: 'Remove the line, or make a file of each document.'
  },
  YAML_VERSION: {
    means: 'A %YAML line asks for a version other than 1.2.',
    todo: 'Remove the line.'
  },
  YAML_DUPLICATE_KEY: {
    means: 'A mapping has the same key twice.',
    todo: 'Remove or rename one of them.'
  },
  // Keys and values.
  KEY_UNKNOWN: {
    means: 'There is no such key at this place.',
    todo: 'Use the key that the message suggests, or see spanplan help spans.yaml.'
  },
  KEY_UNSUPPORTED: {
    means: 'The key stands for something that this version does not support.',
    todo: 'Remove the key, or install a version that supports it.'
  },
  KEY_MISSING: {
    means: 'A required key is missing.',
    todo: 'Add the key that the message names.'
  },
  VALUE_TEMPLATE: {
    means: 'A variable or a template, such as $NAME or {{ name }}, was not filled in. spanplan fills in none.',
    todo: 'Write the value, or have the file filled in before spanplan reads it.'
  },
  VALUE_MISSING: {
    means: 'A key has no value.',
    todo: 'Write a value, or remove the key.'
  },
  VALUE_INVALID: {
    means: 'A value is not what the key takes.',
    todo: 'Write what the message names.'
  },
  NAME_INVALID: {
    means: 'The kernel or Docker would refuse the name, or take it for something else.',
    todo: 'Choose another name; the message says what a name may have.'
  },
  NAME_TOO_LONG: {
    means: 'The name is longer than the kernel or Docker allows.',
    todo: 'Choose a shorter name.'
  },
  NAME_DIFFERS: {
    means: 'Several files are read together, and have different values of "name".',
    todo: 'Give the files one name, or apply them one by one.'
  },
  NAME_CHANGED: {
    means: 'The watched file has a "name" other than the one with which the watch began.',
    todo: 'Restore the name, or destroy the spans of the old name and start the watch again.'
  },
  SUBNET_INVALID: {
    means: 'The value is not an IPv4 prefix from /8 to /29 that a network can use.',
    todo: 'Write a prefix such as 198.18.0.0/26, or remove the key: spanplan then chooses a free one.'
  },
  SUBNET_OVERLAP: {
    means: 'The subnets of two spans overlap.',
    todo: 'Change one of them, or remove the key: spanplan then chooses a free one.'
  },
  SUBNET_TAKEN: {
    means: 'The subnet of a span overlaps that of another Docker network, which Docker would refuse.',
    todo: 'Choose another subnet, or remove the key: spanplan then chooses a free one.'
  },
  SPAN_TWICE: {
    means: 'Two spans have the same name.',
    todo: 'Rename one of them; the message names both places.'
  },
  SPAN_UNKNOWN: {
    means: 'Neither the file nor the host has a span of this name.',
    todo: 'Check the name; the message lists the spans that there are.'
  },
  SPAN_NOT_LIVE: {
    means: 'The span is in the file, and not on this host yet.',
    todo: 'Run spanplan apply first.'
  },
  SPAN_GONE: {
    means: 'The span was removed or recreated while it was being captured.',
    todo: 'Start the capture again.'
  }
} as const satisfies Readonly<Record<string, MessageText>>
