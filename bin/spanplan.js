#!/usr/bin/env node
// CommonJS, as the package.json beside it says: starting the loader of modules takes 4 ms, and importing the bundle 60.
require('../dist/launch.cjs')
