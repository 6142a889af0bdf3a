import { createRequire } from 'node:module'

/**
 * A package that is loaded at the first call: the compression libraries take a start of the broker 10 ms and 2 MB, and
 * most brokers see one of them, if any. A package that is not there throws then.
 */
export function loadLater<Library>(name: string): () => Library {
  let library: Library | undefined
  return () => (library ??= createRequire(import.meta.url)(name) as Library)
}
