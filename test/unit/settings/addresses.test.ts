import { describe, expect, it } from 'vitest'
import { vaultResourceOf } from '../../../shared/settings/addresses.ts'

describe('a token for a vault', () => {
  it.each([
    ['https://contoso.vault.azure.net', 'https://vault.azure.net'],
    ['https://contoso.vault.azure.cn/', 'https://vault.azure.cn'],
    ['https://contoso.vault.usgovcloudapi.net', 'https://vault.usgovcloudapi.net'],
    ['https://localhost:7172', 'https://vault.azure.net'],
  ])('at %s is for %s', (vaultUrl, resource) => {
    expect(vaultResourceOf(vaultUrl)).toBe(resource)
  })

  it.each([
    'https://contoso.vault.azure.net.elsewhere.example',
    'https://vault.azure.net',
    'https://contoso-vault.azure.net',
    'https://contoso.managedhsm.azure.net',
  ])('is not to be had at %s', (vaultUrl) => {
    expect(() => vaultResourceOf(vaultUrl)).toThrow('belongs to no cloud')
  })
})
