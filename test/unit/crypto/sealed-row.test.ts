/** Rows that are sealed with a key of the ring: only the same row, under the same key, opens. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { toRingKey } from '../../../shared/crypto/ring-key.ts'
import { openSealedRow, sealedValues } from '../../../shared/crypto/sealed-row.ts'
import type { RowSeal } from '../../../shared/crypto/sealed-row.ts'
import { seal } from '../../../shared/crypto/sealing.ts'
import type { StoredRow } from '../../../shared/store/store.ts'

const [november, december] = [toRingKey('2026-11', randomBytes(32)), toRingKey('2026-12', randomBytes(32))]
const ring = { find: (id: string) => Promise.resolve([november, december].find((key) => key.id === id)) }
const certificate: RowSeal = {
  format: '3',
  purpose: 'certificate',
  column: 'record',
  keyOf: (ringKey) => ringKey.keyFor('certificate'),
}
const key = { partition: 'certificate', row: 'one' }
const stored = (values: StoredRow['values'], at = key): StoredRow => ({
  ...at,
  values,
  sweepAfter: new Date(0),
  etag: 'x',
})
const sealed = sealedValues('content', key, november, certificate)

describe('a sealed row', () => {
  it('opens at its own place, under the key that it names', async () => {
    expect(sealed).toMatchObject({ format: '3', ringKey: november.id })
    await expect(openSealedRow(stored(sealed), ring, certificate)).resolves.toBe('content')
  })

  it('opens where the previous release sealed it', async () => {
    const context = JSON.stringify(['3', 'certificate', november.id, 'certificate', 'one'])
    const record = seal(november.keyFor('certificate'), 'content', context)
    const row = stored({ format: '3', ringKey: november.id, record })
    await expect(openSealedRow(row, ring, certificate)).resolves.toBe('content')
  })

  it.each<[string, StoredRow | undefined, RowSeal]>([
    ['in another row', stored(sealed, { ...key, row: 'two' }), certificate],
    ['in another partition', stored(sealed, { ...key, partition: 'other' }), certificate],
    ['under the name of another key', stored({ ...sealed, ringKey: december.id }), certificate],
    ['under a key that the ring does not have', stored({ ...sealed, ringKey: '2026-10-00000000' }), certificate],
    ['for another purpose', stored(sealed), { ...certificate, purpose: 'other' }],
    ['by another key of the same month', stored(sealed), { ...certificate, keyOf: ({ session }) => session }],
    ['in another format', stored({ ...sealed, format: '2' }), certificate],
    ['with its bytes in another column', stored({ ...sealed, record: 'text' }), certificate],
    ['without a row', undefined, certificate],
  ])('does not open %s', async (_, row, by) => {
    await expect(openSealedRow(row, ring, by)).resolves.toBeUndefined()
  })

  it('reports a fault of the ring, which must not look like a forged row', async () => {
    const broken = { find: () => Promise.reject(new Error('vault')) }
    await expect(openSealedRow(stored(sealed), broken, certificate)).rejects.toThrow('vault')
  })
})
