#!/usr/bin/env node
import { createRequire } from 'node:module'

// An import would first search the whole bundle for exports: 60 ms.
createRequire(import.meta.url)('../dist/spanplan.cjs')
