import { describe, expect, it } from 'vitest'
import { refusalsOf, settingsWith } from './environment.ts'

const laptop = { AzureAd__Instance: 'https://localhost:7171/', Broker__GraphUrl: 'https://localhost:7174' }

describe('Microsoft Graph', () => {
  it("is the one of the instance's cloud by default", () => {
    expect(settingsWith().provider.graphUrl).toBe('https://graph.microsoft.com')
    expect(settingsWith({ AzureAd__Instance: 'https://localhost:7171/' }).provider.graphUrl).toBeUndefined()
  })

  it('is the local one on a laptop, and never beside a real tenant', () => {
    expect(settingsWith(laptop).provider.graphUrl).toBe('https://localhost:7174')
    expect(settingsWith({ Broker__GraphUrl: laptop.Broker__GraphUrl }).provider.graphUrl).toBe(
      'https://graph.microsoft.com',
    )
  })

  it.each([
    ['https://graph.microsoft.com.example.com', 'is not Microsoft Graph of an Azure cloud'],
    ['https://graph.windows.net', 'is not Microsoft Graph of an Azure cloud'],
    ['https://169.254.169.254', 'is the address of a metadata service'],
    ['http://localhost:7174', 'is http; https is required, also on loopback'],
    ['https://graph.microsoft.com/v1.0', 'has a path'],
    ['https://graph.microsoft.us', 'is in Azure Government, but AzureAd__Instance is in Azure'],
  ])('is refused otherwise: %s', (value, problem) => {
    expect(refusalsOf({ Broker__GraphUrl: value })).toEqual([`Broker__GraphUrl ${problem}`])
    expect(settingsWith({ Broker__GraphUrl: 'https://graph.microsoft.com' }).provider.graphUrl).toBeDefined()
  })
})

describe('the overlap of two versions', () => {
  it('is at least as long as the time until every instance knows of a roll', () => {
    const read = { Broker__CertificateReadSeconds: '60' }

    expect(refusalsOf({ ...read, Broker__CertificateOverlapSeconds: '119' })).toEqual([
      'Broker__CertificateOverlapSeconds is shorter than twice Broker__CertificateReadSeconds',
    ])
    expect(settingsWith({ ...read, Broker__CertificateOverlapSeconds: '120' }).credential.overlapSeconds).toBe(120)
  })
})
