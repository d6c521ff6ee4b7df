/** Where Debian's package keeps what it runs. It is the package's alone: what is there tells a package from any other installation. */
export const packageFolder = '/usr/share/spanplan'
