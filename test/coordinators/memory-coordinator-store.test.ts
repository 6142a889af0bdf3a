import { coordinatorStoreContract } from '../contracts/coordinator-store.ts'
import { MemoryCoordinatorStore } from '../support/memory-coordinator-store.ts'

coordinatorStoreContract('MemoryCoordinatorStore', () => {
  const { records } = new MemoryCoordinatorStore()
  return {
    open: () => Promise.resolve({ store: new MemoryCoordinatorStore(records), close: () => Promise.resolve() }),
  }
})
