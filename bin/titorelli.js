#!/usr/bin/env node
// Old Nodes must be able to parse this file, so that they can say what is missing: no syntax newer than Node 12 here.
import { existsSync } from 'fs'
import { createRequire } from 'module'
import { fileURLToPath } from 'url'

const wantedMajor = 24
const ownFiles = new URL('../dist/', import.meta.url).href

function start() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < wantedMajor) {
    process.stderr.write(
      'titorelli needs Node ' + wantedMajor + ' or newer, and this is Node ' + process.versions.node + '.\n',
    )
    process.exitCode = 2
    return
  }
  // libuv's default of four threads is shared by writes, syncs, cold reads and name look-ups.
  if (process.env.UV_THREADPOOL_SIZE === undefined) process.env.UV_THREADPOOL_SIZE = '16'
  const require = createRequire(import.meta.url)
  // V8 runs a full collection for every 64 MB of memory outside its heap, where all records are, however small the heap is.
  // With this they count as what they are: a part of all memory, which may grow in proportion.
  const v8 = require('v8')
  v8.setFlagsFromString('--external-memory-accounted-in-global-limit')
  if (process.argv[2] === 'start') {
    v8.setFlagsFromString('--no-opt') // until it has started, see src/cli/settle.ts
    v8.setFlagsFromString('--no-maglev')
  }
  const module = require('module')
  if (module.enableCompileCache) module.enableCompileCache()

  // The repository runs its TypeScript as it is; Node strips no types under node_modules, where the package has JavaScript.
  const source = new URL('../src/cli/main.ts', import.meta.url)
  const built = new URL('../dist/src/cli/main.js', import.meta.url)
  const isBuilt = !existsSync(fileURLToPath(source))
  if (isBuilt && module.registerHooks) module.registerHooks({ resolve: resolveOwn })
  import(isBuilt ? built.href : source.href)
    .then(function (main) {
      return main.runProcess(process)
    })
    .catch(function (error) {
      process.stderr.write('titorelli: ' + ((error && error.stack) || error) + '\n')
      process.exit(70)
    })
}

/** Three hundred files import each other by exact paths: not looking each of them up saves a fifth of a start. */
function resolveOwn(specifier, context, next) {
  const parent = context.parentURL
  if (specifier[0] !== '.' || !parent || !parent.startsWith(ownFiles)) return next(specifier, context)
  return { url: new URL(specifier, parent).href, format: 'module', shortCircuit: true }
}

start()
