import { describe, expect, it } from 'vitest'
import { problemsOf, refusalsOf, settingsWith } from './environment.ts'

describe('names', () => {
  it.each([
    ['AzureAd__TenatId', 'Did you mean AzureAd__TenantId? Otherwise delete it.'],
    ['Broker__BaseURI', 'Did you mean Broker__BaseUrl? Otherwise delete it.'],
    ['Broker__FrontEnd', 'Did you mean Broker__FrontEnds? Otherwise delete it.'],
    ['Broker__Colour', 'Delete it; docs/settings.md lists the names that are read.'],
  ])('that are unknown under the two prefixes are refused, with the right name: %s', (name, fix) =>
    expect(problemsOf({ [name]: 'x' })).toEqual([{ setting: name, problem: 'is unknown', fix }]),
  )

  it.each([
    'PATH',
    'Brokerage',
    'BROKER_SERVICE_HOST',
    'AzureAdminPortal',
    'APPSETTING_Broker__Colour',
    'MSI_SECRET',
    'IDENTITY_HEADER',
  ])('that do not belong to the broker are ignored: %s', (name) =>
    expect(() => settingsWith({ [name]: 'x' })).not.toThrow(),
  )

  it.each([
    ['AzureAD__TenantId', 'is written in other upper or lower case', 'Write AzureAd__TenantId.'],
    ['BROKER__BASEURL', 'is written in other upper or lower case', 'Write Broker__BaseUrl.'],
    [
      'AzureAd:TenantId',
      'is written with a colon, which environment variables do not support; __ separates levels',
      'Write AzureAd__TenantId.',
    ],
    ['AzureAd_TenantId', 'is written with other underscores; __ separates levels', 'Write AzureAd__TenantId.'],
    [
      'AzureAd:ClientCredentials:0:SourceType',
      'is written with a colon, which environment variables do not support; __ separates levels',
      'Write AzureAd__ClientCredentials__0__SourceType.',
    ],
  ])('that are known in another spelling are refused, with the right one: %s', (setting, problem, fix) =>
    expect(problemsOf({ [setting]: 'x' })).toEqual([{ setting, problem, fix }]),
  )

  it.each([
    ['AzureAd__Domain', 'is not needed'],
    ['AzureAd__CallbackPath', 'is fixed'],
    ['AzureAd__SignedOutCallbackPath', 'is fixed'],
    ['AzureAd__Scopes', 'belongs to a front end'],
    ['AzureAd__Scopes__0', 'belongs to a front end'],
    ['azuread__domain', 'is not needed'],
    ['AzureAd__ClientCredentials', 'is a list in one setting'],
    ['AzureAd__ClientCredentials__0__CertificateThumbprint', 'names a certificate store of Windows'],
    ['AzureAd__ClientCertificates__0__CertificateDiskPath', 'puts a private key into a file'],
    ['Broker__FrontEnds__0__id', 'is one member of a front end in a separate setting'],
  ])('that Microsoft.Identity.Web users bring along have a sentence of their own: %s', (setting, problem) =>
    expect(refusalsOf({ [setting]: 'x' })).toEqual([`${setting} ${problem}`]),
  )

  it.each([
    ['AzureAd__CallbackPath', '/callback'],
    ['AzureAd__SignedOutCallbackPath', '/logout/done'],
  ])('of paths that are fixed are accepted with the fixed path: %s', (name, value) =>
    expect(() => settingsWith({ [name]: value })).not.toThrow(),
  )
})
