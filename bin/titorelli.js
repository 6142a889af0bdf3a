#!/usr/bin/env node
// Old Nodes must be able to parse this file, so that they can say what is missing: no syntax newer than Node 12 here.
import { existsSync } from 'fs'
import { createRequire } from 'module'
import { fileURLToPath } from 'url'

const wantedMajor = 24

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
  const module = createRequire(import.meta.url)('module')
  if (module.enableCompileCache) module.enableCompileCache()

  // The repository runs its TypeScript as it is; Node strips no types under node_modules, where the package has
  // JavaScript.
  const source = new URL('../src/cli/main.ts', import.meta.url)
  const built = new URL('../dist/src/cli/main.js', import.meta.url)
  import(existsSync(fileURLToPath(source)) ? source.href : built.href)
    .then(function (main) {
      return main.runProcess(process)
    })
    .catch(function (error) {
      process.stderr.write('titorelli: ' + ((error && error.stack) || error) + '\n')
      process.exit(70)
    })
}

start()
