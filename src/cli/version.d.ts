/** package.json's version, put in by the bundler. */
declare const SPANPLAN_VERSION: string
