/** Writes the generated documents anew: `npm run docs`. Their tests fail when they are stale. */
import { writeFileSync } from 'node:fs'
import { configsMarkdown } from '../../src/config/docs.ts'
import { metricsMarkdown } from '../../src/metrics/docs.ts'

writeFileSync(new URL('../../docs/configs.md', import.meta.url), configsMarkdown())
writeFileSync(new URL('../../docs/metrics.md', import.meta.url), metricsMarkdown())
