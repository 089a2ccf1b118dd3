metadata name = 'Domain'
metadata description = 'Custom domain with the free certificate of Azure. Its DNS records must exist before: docs/deploy.md.'

import { tags } from 'types.bicep'

@description('Name of the function app.')
@minLength(2)
@maxLength(60)
param functionAppName string

@description('Azure region of the function app.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Custom domain.')
@minLength(4)
@maxLength(253)
param domain string

@description('True if the domain is already bound. To bind it again without TLS would turn TLS off for a moment.')
param isBound bool

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource binding 'Microsoft.Web/sites/hostNameBindings@2025-03-01' = if (!isBound) {
  parent: site
  name: domain
  properties: {
    siteName: functionAppName
    hostNameType: 'Verified'
    customHostNameDnsRecordType: 'CName'
    sslState: 'Disabled'
  }
}

resource certificate 'Microsoft.Web/sites/certificates@2025-03-01' = {
  parent: site
  name: domain
  location: location
  tags: resourceTags
  properties: {
    canonicalName: domain
  }
  dependsOn: [binding]
}

// A module, because a template cannot contain the same binding twice.
module tls 'domain-tls.bicep' = {
  params: {
    functionAppName: functionAppName
    domain: domain
    thumbprint: certificate.properties.thumbprint
  }
}
