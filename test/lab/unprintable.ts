/** What no printed text may hold but the ends of its lines: characters that a terminal obeys, or that nobody sees. */
export const unprintable = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
