import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { root } from '../setup/bicep.ts'

const text = readFileSync(path.join(root, '.github/workflows/azure-dev.yml'), 'utf8')
const workflow = parse(text) as {
  permissions: Record<string, string>
  jobs: { deploy: { env: Record<string, string>; steps: readonly { run?: string; uses?: string }[] } }
}

describe('the deploying pipeline', () => {
  it('signs in by a federated identity and reads no secret', () => {
    expect(workflow.permissions).toEqual({ contents: 'read', 'id-token': 'write' })
    expect(text).not.toMatch(/secrets\./)
    expect(text).toContain('--federated-credential-provider github')
  })

  it('installs what the hooks import before azd runs them', () => {
    const runs = workflow.jobs.deploy.steps.map(({ run }) => run ?? '')
    const install = runs.indexOf('npm ci')

    expect(install).toBeGreaterThan(-1)
    expect(runs.findIndex((run) => run.startsWith('azd up'))).toBeGreaterThan(install)
  })

  it('has the variables that azd pipeline config fills', () => {
    for (const name of ['CLIENT_ID', 'TENANT_ID', 'SUBSCRIPTION_ID', 'ENV_NAME', 'LOCATION']) {
      expect(workflow.jobs.deploy.env).toHaveProperty(`AZURE_${name}`)
    }
  })
})

describe('the development container', () => {
  it('has azd, Node 24 and the packages', () => {
    const container = JSON.parse(readFileSync(path.join(root, '.devcontainer/devcontainer.json'), 'utf8')) as {
      image: string
      features: Record<string, object>
      postCreateCommand: string
    }

    expect(container.image).toMatch(/:24$/)
    expect(Object.keys(container.features)).toContain('ghcr.io/azure/azure-dev/azd:0')
    expect(container.postCreateCommand).toBe('npm ci')
  })
})
