/** What bridge and tc print, as far as walks look at it. */

/** A row of `bridge -json -details link show`. */
export interface PortRow {
  readonly ifname: string
  readonly state: string
  readonly flood: boolean
}

/** A row of `tc -json filter show`. */
export interface FilterRow {
  readonly pref: number
  readonly chain: number
  readonly options?: {
    readonly handle: string
    readonly bytecode: { readonly insns: readonly { code: number; jt: number; jf: number; k: number }[] }
    readonly actions?: readonly { readonly to_dev?: string; readonly cookie?: string }[]
  }
}
