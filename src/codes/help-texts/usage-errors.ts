/** Errors of the command line. Each code has what it means, and what to do about it. */
export const usageErrors = {
  COMMAND_UNKNOWN: [
    'spanplan has no such command. Where another tool has one of this name, the message says what does the same here.',
    'Type what the message says, or see spanplan --help.'
  ],
  OPTION_UNKNOWN: [
    'The command has no such option. It may be one of another command, or of another tool.',
    'Type what the message says, or see the help of the command: spanplan plan --help.'
  ],
  OPTION_INVALID: [
    'An option has no value, or one that it does not take; one that is required is missing; or two exclude each other.',
    'Type what the message says, or see the help of the command: spanplan plan --help.'
  ],
  ARGUMENT_UNKNOWN: [
    'The command takes no such argument, or needs one more. Files are named with -f, spans mostly with --span.',
    'Type what the message says, or see the help of the command: spanplan plan --help.'
  ],
  TOPIC_UNKNOWN: [
    'spanplan help knows commands, topics and codes of messages, and nothing of this name.',
    'Type what the message says, or see what there is: spanplan help.'
  ]
} as const
