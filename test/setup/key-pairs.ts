/** RSA key pairs for emulated vaults, made once for a worker: a pair of 3,072 bits takes 0.15 s of CPU time. */
import { makeRsaKeyPair } from '../../local/vault/context.ts'
import type { KeyPair, MakeKeyPair } from '../../local/vault/context.ts'

const free = new Map<number, KeyPair[]>()

export interface KeyPairs {
  readonly makeKeyPair: MakeKeyPair
  /** Other vaults may have these pairs from now on. */
  release(): void
}

/** No two vaults that run at the same time, and no two keys of one vault, have the same pair. */
export function lendKeyPairs(): KeyPairs {
  const lent: [number, KeyPair][] = []
  return {
    makeKeyPair: async (size) => {
      const pair = free.get(size)?.pop() ?? (await makeRsaKeyPair(size))
      lent.push([size, pair])
      return pair
    },
    release: () => {
      for (const [size, pair] of lent.splice(0)) free.set(size, [...(free.get(size) ?? []), pair])
    },
  }
}
