/** Writes the generated documents anew: `npm run docs`. Their tests fail when they are stale. */
import { writeFileSync } from 'node:fs'
import { configsMarkdown } from '../../src/config/docs.ts'

writeFileSync(new URL('../../docs/configs.md', import.meta.url), configsMarkdown())
