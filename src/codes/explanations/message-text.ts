/** What a message's code means, in all of its messages. */
export interface MessageText {
  readonly means: string
  /** What to do about it. */
  readonly todo: string
}
