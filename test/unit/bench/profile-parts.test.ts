import { describe, expect, it } from 'vitest'
import { partsOf, partsTable } from '../../bench/profile-parts.ts'

const node = (id: number, functionName: string, url: string) => ({
  id,
  callFrame: { functionName, url, lineNumber: 0, columnNumber: 0 },
})
const nodes = [
  node(1, '(idle)', ''),
  node(2, 'acquire', 'file:///app/node_modules/@azure/msal-node/lib/index.mjs'),
  node(3, 'writev', ''),
  node(4, 'serve', 'file:///app/host.mjs'),
  node(5, '(garbage collector)', ''),
  node(6, 'seal', 'file:///app/shared/session/sealing.ts'),
  { ...node(7, 'hkdf', 'node:internal/crypto/hkdf'), children: [8] },
  node(8, 'run', ''),
]

describe('the parts of a CPU profile', () => {
  it('are packages, folders of the broker, the host and the work of Node, with their shares of the time that was not idle', () => {
    const parts = partsOf({ nodes, samples: [1, 2, 2, 3, 4, 5, 6, 6], timeDeltas: Array<number>(8).fill(100) })

    expect(parts.map(({ name, share }) => [name, share.toFixed(2)])).toEqual([
      ['@azure/msal-node', '0.29'],
      ['shared/session', '0.29'],
      ['Node: writing to sockets', '0.14'],
      ['the functions host', '0.14'],
      ['garbage collection', '0.14'],
    ])
  })

  it('assign native code to its caller', () => {
    expect(partsOf({ nodes, samples: [8], timeDeltas: [100] })).toEqual([{ name: 'Node: cryptography', share: 1 }])
  })

  it('do not include the time in which another process had the core', () => {
    const parts = partsOf({ nodes, samples: [2, 3, 2, 3], timeDeltas: [100, 100, 120, 5000] })

    expect(parts.map(({ name, share }) => [name, Math.round(share * 100) / 100])).toEqual([
      ['@azure/msal-node', 0.69],
      ['Node: writing to sockets', 0.31],
    ])
  })

  it('are added up in one line where they are smaller than one in a hundred', () => {
    const table = partsTable([
      { name: 'large', share: 0.99 },
      { name: 'small', share: 0.006 },
      { name: 'smaller', share: 0.004 },
    ])

    expect(table.split('\n').slice(2)).toEqual(['| large | 99.0 % |', '| smaller ones together | 1.0 % |'])
  })
})
