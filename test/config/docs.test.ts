import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { configsMarkdown } from '../../src/config/docs.ts'

test('docs/configs.md is what the tables say (npm run docs writes it anew)', () => {
  const stored = readFileSync(new URL('../../docs/configs.md', import.meta.url), 'utf8')
  assert.equal(stored, configsMarkdown())
})
