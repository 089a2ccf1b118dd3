/** The key of a grant: the row of its session and the secret that opens it. A refresh token is this key. */
import { randomValue } from '../crypto/random.ts'
import type { SessionKey } from '../session/session-row.ts'

const [partitionBytes, rowBytes, secretBytes] = [12, 16, 24]

/** The row of a new grant: random, since it is known before the secret is. */
export function newGrantRow(): string {
  return randomValue(rowBytes).toString('base64url')
}

export function newGrantSecret(): Buffer {
  return randomValue(secretBytes)
}

/** The refresh token is the key itself, without the client: a token opens the session of its own client only. */
export function toRefreshToken({ rowKey, secret }: SessionKey): string {
  return Buffer.concat([
    Buffer.from(rowKey.partition, 'base64url'),
    Buffer.from(rowKey.row, 'base64url'),
    secret,
  ]).toString('base64url')
}

/** @param text untrusted @returns undefined for a text that is not in the one form of a refresh token */
export function parseRefreshToken(text: string, frontEndId: string): SessionKey | undefined {
  const bytes = Buffer.from(text, 'base64url')
  const isOne = bytes.length === partitionBytes + rowBytes + secretBytes && bytes.toString('base64url') === text
  if (!isOne) return undefined
  return {
    frontEndId,
    rowKey: {
      partition: bytes.subarray(0, partitionBytes).toString('base64url'),
      row: bytes.subarray(partitionBytes, partitionBytes + rowBytes).toString('base64url'),
    },
    secret: bytes.subarray(partitionBytes + rowBytes),
  }
}
