/**
 * What a process that starts a broker does with V8 around the start. Loading runs much code once; none of it is worth optimizing,
 * and the optimizer alone would touch 9 MB of code of its own. `bin/titorelli.js` switches it off before anything is loaded.
 */
import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A start with much to recover gets the optimizer after this time. */
const startMaxMs = 250
/** When nobody has come until then, one collection gives back what the start needed: 8 MB, for a pause of some 10 ms. */
const quietMs = 1_000

/** Switches the optimizer on when the start is over, or has taken long. Returns what to call when it is over. */
export function settleAfterStart(): (connectionCount: () => number) => void {
  let isOptimizing = false
  const optimize = (): void => {
    if (isOptimizing) return
    isOptimizing = true
    flushCompileCache() // what was compiled fits only the flags that it was compiled with
    setFlagsFromString('--opt')
    setFlagsFromString('--maglev')
  }
  setTimeout(optimize, startMaxMs).unref()
  return (connectionCount) => {
    optimize()
    setTimeout(() => {
      if (connectionCount() === 0) collectGarbage()
    }, quietMs).unref()
  }
}

/** V8 has the function only for those who ask with a flag, and gives memory back only where it is told that there is none. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: object) => void
  setFlagsFromString('--no-expose-gc')
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
