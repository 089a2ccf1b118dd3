/**
 * The contract of every adapter of the store, as tests. The adapter's own test file defines how to open one, and how to
 * cause faults in its network.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Row, Store, Values } from '../../../shared/store/store.ts'

interface OpenedStore {
  readonly store: Store
  /** Another instance's, on the same rows. */
  readonly other: Store
  /** Does the next write, and loses its answer. */
  loseNextAnswer(operation: 'insert' | 'replace' | 'remove'): void
  /** Refuses every request until `heal`. */
  breakDown(how: { readonly status: number } | { readonly dropConnection: true }): void
  heal(): void
  close(): Promise<void>
}

const later = new Date('2040-01-01T00:00:00Z')

function aRow(values: Values = { text: 'one' }, more: Partial<Row> = {}): Row {
  return { partition: 'p', row: randomUUID(), sweepAfter: later, values, ...more }
}

export function describeStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(name, () => {
    let opened: OpenedStore
    let store: Store
    beforeAll(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.heal())
    afterAll(() => opened.close())

    describe('inserts', () => {
      it('returns a row as it was inserted', async () => {
        const row = aRow({ text: 'Grüße 👋', bytes: randomBytes(40) })

        const etag = await store.insert('sessions', row)

        expect(etag).toBeTypeOf('string')
        expect(await store.find('sessions', row)).toEqual({ ...row, etag })
      })

      it('keeps the first of two rows with one key', async () => {
        const row = aRow()
        await store.insert('sessions', row)

        const second = await opened.other.insert('sessions', { ...row, values: { text: 'two' } })

        expect(second).toBeUndefined()
        expect((await store.find('sessions', row))?.values).toEqual({ text: 'one' })
      })

      it('lets exactly one of many that race', async () => {
        const row = aRow()
        const writers = [store, opened.other, store, opened.other, store, opened.other]

        const outcomes = await Promise.all(writers.map((one) => one.insert('states', row)))

        expect(outcomes.filter((etag) => etag !== undefined)).toHaveLength(1)
      })

      it('recognises its own write after a lost answer', async () => {
        const row = aRow()
        opened.loseNextAnswer('insert')

        const etag = await store.insert('states', row)

        expect(etag).toBe((await store.find('states', row))?.etag)
        expect(await store.insert('states', row)).toBeUndefined()
      })

      it('does not mistake another row for its own after a lost answer', async () => {
        const row = aRow()
        await opened.other.insert('states', row)
        opened.loseNextAnswer('insert')

        expect(await store.insert('states', row)).toBeUndefined()
      })

      it('makes the table where it is missing, also when two instances do it at once', async () => {
        const fresh = await open()
        try {
          const [one, two] = await Promise.all([
            fresh.store.insert('service', aRow()),
            fresh.other.insert('service', aRow()),
          ])

          expect([one, two]).toEqual([expect.any(String), expect.any(String)])
        } finally {
          await fresh.close()
        }
      })
    })

    describe('finds', () => {
      it('no row where there is none, with and without the table', async () => {
        const fresh = await open()
        try {
          expect(await fresh.store.find('sessions', { partition: 'p', row: 'none' })).toBeUndefined()
          expect(await fresh.store.find('sessions', { partition: 'p', row: 'none' })).toBeUndefined()
        } finally {
          await fresh.close()
        }
      })

      it('only the requested values', async () => {
        const row = aRow({ wanted: 'yes', bytes: randomBytes(8), other: 'no' })
        const etag = await store.insert('sessions', row)

        const found = await store.find('sessions', row, ['wanted', 'bytes'])

        expect(found).toEqual({ ...row, values: { wanted: 'yes', bytes: row.values.bytes }, etag })
      })

      it.each([
        ['a text of 100,000 characters', 'x'.repeat(100_000)],
        // Azurite breaks a character at each 64 KB of a request's body, so few of them need more than a byte here.
        ['a text that a piece would cut in the middle of a character', `${'x'.repeat(29_999)}👋${'x'.repeat(40_000)}`],
        ['a text of 31,000 characters of two bytes', 'é'.repeat(31_000)],
        ['200 KB of bytes', randomBytes(200_000)],
        ['bytes that fill a piece to the last', randomBytes(60_000)],
        ['no bytes at all', Buffer.alloc(0)],
        ['an empty text', ''],
      ])('%s as they were put in', async (_, value) => {
        const row = aRow({ value, after: 'there' })
        await store.insert('sessions', row)

        const found = await store.find('sessions', row)

        // Compared as text: a failure would print all of it.
        expect(Object.keys(found?.values ?? {}).sort()).toEqual(['after', 'value'])
        expect(Buffer.from(found?.values.value ?? 'nothing').equals(Buffer.from(value))).toBe(true)
        expect(typeof found?.values.value).toBe(typeof value)
      })

      it.each(["it's", '%2F', 'ä€👋', 'a b', "' or RowKey ne '"])('a row whose key is %s', async (key) => {
        const row = aRow({ text: key }, { partition: key, row: key })
        await store.insert('sessions', row)

        expect((await store.find('sessions', row))?.values.text).toBe(key)
        expect((await store.list('sessions', key)).map((found) => found.row)).toEqual([key])
        expect(await store.remove('sessions', row)).toBe(true)
      })
    })

    describe('replaces', () => {
      it('the whole row where no other write came since, and returns the etag for the next write', async () => {
        const row = aRow({ text: 'one', long: 'x'.repeat(130_000) })
        const etag = await store.insert('sessions', row)

        const second = await store.replace('sessions', { ...row, values: { text: 'two' } }, etag!)
        const third = await store.replace('sessions', { ...row, values: { text: 'three' } }, second!)

        expect(await store.find('sessions', row)).toEqual({ ...row, values: { text: 'three' }, etag: third })
      })

      it('no row that another instance wrote since', async () => {
        const row = aRow()
        const etag = await store.insert('sessions', row)
        await opened.other.replace('sessions', { ...row, values: { text: 'theirs' } }, etag!)

        expect(await store.replace('sessions', { ...row, values: { text: 'mine' } }, etag!)).toBeUndefined()
        expect((await store.find('sessions', row))?.values).toEqual({ text: 'theirs' })
      })

      it('no row that was removed, and does not restore it', async () => {
        const row = aRow()
        const etag = await store.insert('sessions', row)
        await opened.other.remove('sessions', row)

        expect(await store.replace('sessions', row, etag!)).toBeUndefined()
        expect(await store.find('sessions', row)).toBeUndefined()
      })

      it('for exactly one of two that race', async () => {
        const row = aRow()
        const etag = await store.insert('sessions', row)

        const outcomes = await Promise.all(
          [store, opened.other].map((one) => one.replace('sessions', { ...row, values: { text: 'two' } }, etag!)),
        )

        expect(outcomes.filter((one) => one !== undefined)).toHaveLength(1)
      })

      it('and recognises its own write after a lost answer', async () => {
        const row = aRow()
        const etag = await store.insert('sessions', row)
        opened.loseNextAnswer('replace')

        const second = await store.replace('sessions', { ...row, values: { text: 'two' } }, etag!)

        expect(second).toBe((await store.find('sessions', row))?.etag)
        expect(second).not.toBe(etag)
        expect((await store.find('sessions', row))?.values).toEqual({ text: 'two' })
      })

      it('and does not mistake another write for its own after a lost answer', async () => {
        const row = aRow()
        const etag = await store.insert('sessions', row)
        await opened.other.replace('sessions', { ...row, values: { text: 'theirs' } }, etag!)
        opened.loseNextAnswer('replace')

        expect(await store.replace('sessions', { ...row, values: { text: 'mine' } }, etag!)).toBeUndefined()
      })
    })

    describe('removes', () => {
      it('a row once', async () => {
        const row = aRow()
        await store.insert('sessions', row)

        expect(await store.remove('sessions', row)).toBe(true)
        expect(await store.remove('sessions', row)).toBe(false)
        expect(await store.find('sessions', row)).toBeUndefined()
      })

      it('only the state that was read, where an etag is passed', async () => {
        const row = aRow()
        const etag = await store.insert('sessions', row)
        const second = await opened.other.replace('sessions', row, etag!)

        expect(await store.remove('sessions', row, etag)).toBe(false)
        expect(await store.find('sessions', row)).toBeDefined()
        expect(await store.remove('sessions', row, second)).toBe(true)
      })

      it('the row in any state, where no etag is passed', async () => {
        const row = aRow()
        const etag = await store.insert('sessions', row)
        await opened.other.replace('sessions', row, etag!)

        expect(await store.remove('sessions', row)).toBe(true)
      })

      it('although the answer was lost', async () => {
        const row = aRow()
        await store.insert('sessions', row)
        opened.loseNextAnswer('remove')

        await store.remove('sessions', row)

        expect(await store.find('sessions', row)).toBeUndefined()
      })
    })

    describe('lists', () => {
      it('the rows of one partition and no others', async () => {
        const mine = [aRow({ n: '1' }, { partition: 'mine' }), aRow({ n: '2' }, { partition: 'mine' })]
        for (const row of [...mine, aRow({ n: '3' }, { partition: 'mine2' })]) await store.insert('service', row)

        const listed = await store.list('service', 'mine')

        expect(listed.map(({ values }) => values.n).sort()).toEqual(['1', '2'])
        expect(listed.every(({ etag }) => etag !== '')).toBe(true)
        expect(await store.list('service', 'nobody')).toEqual([])
      })

      it('the keys of the rows that have one of several values', async () => {
        const [a, b, other] = [aRow({ n: "o'1" }), aRow({ n: '2' }), aRow({ n: '3' })]
        for (const row of [a, b, other]) await store.insert('codes', row)

        const listed = await store.listWhere('codes', 'n', ["o'1", '2', 'none'])

        expect(listed.map(({ row }) => row).sort()).toEqual([a.row, b.row].sort())
        expect(await store.listWhere('codes', 'n', [])).toEqual([])
      })

      it('a whole table page by page, with the columns that are requested', async () => {
        const fresh = await open()
        try {
          const rows = Array.from({ length: 5 }, (_, n) => aRow({ n: String(n), secret: 's' }, { partition: `p${n}` }))
          for (const row of rows) await fresh.store.insert('sessions', row)

          const found: unknown[] = []
          const sizes: number[] = []
          let after: string | undefined
          do {
            const page = await fresh.other.scan('sessions', { columns: ['n', 'absent'], after, limit: 2 })
            found.push(...page.rows.map(({ values }) => values))
            sizes.push(page.rows.length)
            after = page.next
          } while (after !== undefined)

          expect(found).toEqual(rows.map((_, n) => ({ n: String(n) })))
          expect(Math.max(...sizes)).toBe(2)
        } finally {
          await fresh.close()
        }
      })

      it('a page of the rows that may be swept, and the rest when that page has been removed', async () => {
        const fresh = await open()
        try {
          const due = new Date('2020-01-01T00:00:00Z')
          const expired = Array.from({ length: 5 }, (_, n) => aRow({}, { partition: `p${n}`, sweepAfter: due }))
          const live = aRow({}, { partition: 'p1' })
          for (const row of [...expired, live]) await fresh.store.insert('states', row)

          const found: string[] = []
          const sizes: number[] = []
          for (;;) {
            const page = await fresh.store.listSweepable('states', new Date('2020-01-01T00:00:01Z'), 2)
            if (page.length === 0) break
            sizes.push(page.length)
            for (const key of page) {
              found.push(key.row)
              expect(await fresh.store.remove('states', key, key.etag)).toBe(true)
            }
          }

          expect(Math.max(...sizes)).toBe(2)
          expect(found.sort()).toEqual(expired.map(({ row }) => row).sort())
          expect(await fresh.store.find('states', live)).toBeDefined()
          expect(await fresh.store.listSweepable('states', due, 2)).toEqual([])
        } finally {
          await fresh.close()
        }
      })
    })

    describe('when it is down', () => {
      it.each([{ status: 500 }, { status: 503 }, { status: 403 }, { dropConnection: true } as const])(
        'reports it from every method, and works again afterwards (%o)',
        async (how) => {
          const row = aRow()
          const etag = await store.insert('sessions', row)
          opened.breakDown(how)

          const outcomes = await Promise.allSettled([
            store.insert('sessions', aRow()),
            store.find('sessions', row),
            store.replace('sessions', row, etag!),
            store.remove('sessions', row, etag),
            store.list('sessions', row.partition),
            store.listWhere('sessions', 'text', ['one']),
            store.scan('sessions', { columns: ['text'], limit: 10 }),
            store.listSweepable('sessions', later, 1),
          ])

          expect(
            outcomes.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : one)),
          ).toEqual(Array.from({ length: 8 }, () => 'store_unavailable'))
          opened.heal()
          expect(await store.replace('sessions', row, etag!)).toBeDefined()
        },
      )
    })
  })
}
