import { AggregateAuthenticationError, CredentialUnavailableError } from '@azure/identity'
import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { describeFailure } from '../../../tools/certificate/certificate-failure.ts'

const certificate = { vaultUrl: 'https://kv-shop.vault.azure.net', name: 'broker' }
const describeIt = (error: unknown) => describeFailure(error, certificate)

describe('describeFailure', () => {
  const unavailable = new AggregateAuthenticationError([
    new CredentialUnavailableError('Azure Developer CLI couldn’t be found.\nSee the guide.'),
    new CredentialUnavailableError('Azure CLI could not be found.'),
  ])

  it.each([
    ['of the SDK', unavailable],
    ['of the broker’s own client', new BrokerError('managed_identity_unavailable', { cause: unavailable })],
  ])('names both ways to sign in after a fault %s, with the reason of each', (_, error) => {
    expect(describeIt(error).split('\n')).toEqual([
      'There is no sign-in for https://kv-shop.vault.azure.net. Run: azd auth login, or: az login',
      '- Azure Developer CLI couldn’t be found.',
      '- Azure CLI could not be found.',
    ])
  })

  it('names the vault and the reason if there is no response', () => {
    const error = Object.assign(new Error('getaddrinfo ENOTFOUND'), { name: 'RestError', code: 'ENOTFOUND' })
    const sentence =
      /^https:\/\/kv-shop\S+ does not answer \((vault_.*)?ENOTFOUND\)\. Check its name, the network, .*\.$/
    expect(describeIt(error)).toMatch(sentence)
    expect(describeIt(new BrokerError('vault_unavailable', { detail: 'vault answered ENOTFOUND' }))).toMatch(sentence)
  })

  it('names npm start where the vault is that of a laptop', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED'), { name: 'RestError', code: 'ECONNREFUSED' })
    expect(describeFailure(error, { vaultUrl: 'https://localhost:7172', name: 'broker' })).toMatch(
      /^https:\/\/localhost:7172 does not answer \(ECONNREFUSED\)\. Run npm start, or write --vault /,
    )
  })

  it.each([
    ['vault answered 403 ForbiddenByRbac', /^You lack the permission "list" for certificates/],
    ['vault answered 403 ForbiddenByFirewall', /^The firewall of https:\/\/kv-shop\S+ refuses this machine/],
  ])('speaks of the person’s own access: %s', (detail, sentence) => {
    expect(describeIt(new BrokerError('vault_forbidden', { detail }))).toMatch(sentence)
  })

  it('prints the operator’s part of any other remedy', () => {
    expect(describeIt(new BrokerError('vault_throttled', { detail: 'vault answered 429' }))).toMatch(
      /limits requests\. \(vault_throttled: vault answered 429\) Look for other applications that use this vault\.$/,
    )
  })
})
