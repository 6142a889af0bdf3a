/** Loaded before each test file: all of them compile the same modules, and the next one finds them compiled. */
import { enableCompileCache } from 'node:module'

enableCompileCache()
