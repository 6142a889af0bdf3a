/**
 * How a small file is replaced on a disk that has no such call, so that after a crash it has its old or its new
 * content.
 */
import type { Disk, OpenOptions } from './disk.ts'

/**
 * Writes aside, syncs, renames, syncs the directory. What a crash leaves of it aside, `<name>.tmp`, the next one writes
 * over.
 */
export async function replaceByRename(
  disk: Disk,
  name: string,
  content: Uint8Array,
  options: Pick<OpenOptions, 'isPrivate'> = {},
): Promise<void> {
  const aside = `${name}.tmp`
  if (options.isPrivate === true) await disk.remove(aside) // what a crash left keeps the mode that it has
  const file = await disk.open(aside, { create: true, ...options })
  try {
    await file.truncate(0)
    await file.write(0, [content])
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(aside, name)
  await disk.syncDirectory(name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '')
}
