/**
 * RSA key pairs for emulated vaults and providers, made once for a worker: a pair of 2,048 bits costs 0.14 s of CPU
 * time, one of 3,072 bits 0.4 s.
 */
import { makeRsaKeyPair } from '../../local/rsa-key-pair.ts'
import type { KeyPair, MakeKeyPair } from '../../local/rsa-key-pair.ts'

const free = new Map<number, KeyPair[]>()

interface KeyPairs {
  readonly makeKeyPair: MakeKeyPair
  /** Other parts may have these pairs from now on. */
  release(): void
}

/** No two parts that run at the same time, and no two keys of one part, have the same pair. */
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
