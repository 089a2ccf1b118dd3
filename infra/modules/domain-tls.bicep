metadata name = 'Domain with TLS'
metadata description = 'Binds the custom domain to its certificate.'

@description('Name of the function app.')
@minLength(2)
@maxLength(60)
param functionAppName string

@description('Custom domain.')
@minLength(4)
@maxLength(253)
param domain string

@description('Thumbprint of the certificate.')
@minLength(1)
param thumbprint string

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource binding 'Microsoft.Web/sites/hostNameBindings@2025-03-01' = {
  parent: site
  name: domain
  properties: {
    siteName: functionAppName
    hostNameType: 'Verified'
    customHostNameDnsRecordType: 'CName'
    sslState: 'SniEnabled'
    thumbprint: thumbprint
  }
}
