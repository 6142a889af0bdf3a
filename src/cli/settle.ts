/**
 * What a process that runs a broker does with V8. All of it waits until the code is loaded: Node's own modules and the
 * compile cache hold compiled code, which V8 takes only under the flags it was made with; without it a start takes a
 * quarter longer.
 */
import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A start with much to recover gets the optimizer after this time. */
const startMaxMs = 250
/**
 * When nobody has come until then, one collection gives back what the start needed: 8 MB, for a pause of some 10 ms.
 */
const quietMs = 1_000

/**
 * Switches the optimizer off: a start runs much code once, none of it worth optimizing, and the optimizer alone would
 * touch 9 MB of code of its own. It is on again when the start is over, or has taken long. Returns what to call when it
 * is over.
 */
export function settleAfterStart(): (connectionCount: () => number) => void {
  accountRecords()
  setFlagsFromString('--no-opt')
  setFlagsFromString('--no-maglev')
  let isOptimizing = false
  const optimize = (): void => {
    if (isOptimizing) return
    isOptimizing = true
    flushCompileCache() // so that the next start finds it after a kill, too
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

/**
 * V8 runs a full collection for every 64 MB of memory outside its heap, where all records are, however small the heap
 * is. With this they count as what they are: a part of all memory, which may grow in proportion.
 */
function accountRecords(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit')
}

/**
 * V8 has the function only for those who ask with a flag, and gives memory back only where it is told that there is
 * none.
 */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: object) => void
  setFlagsFromString('--no-expose-gc')
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
