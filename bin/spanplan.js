#!/usr/bin/env node
import '../dist/spanplan.cjs'
