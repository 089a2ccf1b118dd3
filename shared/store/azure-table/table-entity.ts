/** A row of the store as an entity of Azure Table Storage, and back: OData's JSON with minimal metadata. */
import type { Row, StoredRow } from '../store.ts'

type Json = Readonly<Record<string, unknown>>

/**
 * A property holds 64 KiB at most, and a text is counted as UTF-16: a longer value is cut into pieces named value,
 * value_1, value_2 …
 */
const pieceBytes = 60_000
const pieceCharacters = 30_000

/** A property beside the row's values: identifies the write that made the row. */
export const markerName = 'marker'

/** The columns of a row apart from its values. */
export const rowColumns = ['PartitionKey', 'RowKey', 'sweepAfter'] as const

/** The last is a good name for a property of a table, and none for one of an object. */
const reserved: ReadonlySet<string> = new Set([...rowColumns, 'Timestamp', markerName, '__proto__'])
const typeSuffix = '@odata.type'

export function toEntity({ partition, row, sweepAfter, values }: Row, marker: string): Json {
  const entity: Record<string, unknown> = {
    PartitionKey: partition,
    RowKey: row,
    sweepAfter: sweepAfter.toISOString(),
    [`sweepAfter${typeSuffix}`]: 'Edm.DateTime',
    [markerName]: marker,
  }
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'string') cutText(value).forEach((piece, index) => (entity[pieceName(name, index)] = piece))
    else {
      cutBytes(value).forEach((piece, index) => {
        entity[pieceName(name, index)] = Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString('base64')
        entity[`${pieceName(name, index)}${typeSuffix}`] = 'Edm.Binary'
      })
    }
  }
  return entity
}

/** @returns the row of an entity; with empty keys where it is none */
export function fromEntity(entity: Json): StoredRow {
  const values: Record<string, string | Uint8Array> = {}
  for (const name of Object.keys(entity)) {
    // The service's own properties and types have a dot in their names; pieces are read with the first of them.
    if (reserved.has(name) || name.includes('.') || isLaterPiece(name)) continue
    const pieces: (string | Buffer)[] = []
    for (let i = 0, piece = pieceOf(entity, name); piece !== undefined; piece = pieceOf(entity, pieceName(name, ++i))) {
      pieces.push(piece)
    }
    if (pieces.length === 0) continue
    if (pieces.every((piece) => typeof piece === 'string')) values[name] = pieces.join('')
    else if (pieces.every((piece) => typeof piece !== 'string')) values[name] = Buffer.concat(pieces)
  }
  const sweepAfter = new Date(textOf(entity.sweepAfter))
  return {
    partition: textOf(entity.PartitionKey),
    row: textOf(entity.RowKey),
    sweepAfter: Number.isNaN(sweepAfter.getTime()) ? new Date(0) : sweepAfter,
    values,
    etag: etagOf(entity),
  }
}

export function etagOf(entity: Json): string {
  return textOf(entity['odata.etag'])
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** A text in a filter or a key. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function pieceName(name: string, index: number): string {
  return index === 0 ? name : `${name}_${index}`
}

function isLaterPiece(name: string): boolean {
  return /_\d+$/.test(name)
}

function pieceOf(entity: Json, name: string): string | Buffer | undefined {
  const value = entity[name]
  if (typeof value !== 'string') return undefined
  switch (entity[`${name}${typeSuffix}`]) {
    case 'Edm.Binary':
      return Buffer.from(value, 'base64')
    case undefined:
    case 'Edm.String':
      return value
    default:
      return undefined
  }
}

function cutBytes(value: Uint8Array): Uint8Array[] {
  const pieces = [value.subarray(0, pieceBytes)]
  for (let at = pieceBytes; at < value.length; at += pieceBytes) pieces.push(value.subarray(at, at + pieceBytes))
  return pieces
}

/** Never between the two halves of a surrogate pair: a half alone does not survive UTF-8. */
function cutText(value: string): string[] {
  const pieces: string[] = []
  let at = 0
  do {
    const isHalf = /[\ud800-\udbff]/.test(value.charAt(at + pieceCharacters - 1))
    const end = at + pieceCharacters - (isHalf ? 1 : 0)
    pieces.push(value.slice(at, end))
    at = end
  } while (at < value.length)
  return pieces
}
