import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, inject, it } from 'vitest'

describe('the deployed package', () => {
  it('starts with at most 350 KB, and has at most 1.2 MB in all', () => {
    expect(inject('entryBytes')).toBeLessThanOrEqual(350 * 1024)
    expect(inject('totalBytes')).toBeLessThanOrEqual(1.2 * 1024 * 1024)
  })

  it('is self-contained: a bundle, host.json as in the project, and a package.json that names the entry', async () => {
    const dist = inject('dist')
    const files = await readdir(dist)

    expect(files.filter((file) => !file.endsWith('.mjs')).sort()).toEqual([
      'LICENCE-NOTICES.txt',
      'host.json',
      'package.json',
    ])
    const notices = await readFile(path.join(dist, 'LICENCE-NOTICES.txt'), 'utf8')
    for (const name of ['@azure/msal-node', '@azure/functions', 'zod', 'applicationinsights']) {
      expect(notices).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(MIT\\)$`, 'm'))
    }
    expect(notices).toContain('Permission is hereby granted, free of charge')
    const hostJson = (folder: string) => readFile(path.join(folder, 'host.json'), 'utf8')
    expect(await hostJson(dist)).toBe(await hostJson(path.join(import.meta.dirname, '../..')))
    const { main } = JSON.parse(await readFile(path.join(dist, 'package.json'), 'utf8')) as { main: string }
    expect(files).toContain(main)
  })

  it('holds no telemetry and no SDK in the files that are read before the first answer', async () => {
    const entry = await readFile(path.join(inject('dist'), 'index.mjs'), 'utf8')

    for (const name of ['TableClient', 'ManagedIdentityCredential', 'ConfidentialClientApplication', 'opentelemetry']) {
      expect(entry).not.toContain(name)
    }
  })
})
