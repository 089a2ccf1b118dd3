import js from '@eslint/js'
import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

/** Which folder may import what: docs/architecture.md, "Floors". */
const azureSdks = [
  '@azure/identity',
  '@azure/keyvault-*',
  '@azure/data-tables',
  '@azure/core-*',
  '@azure/msal-*',
  'applicationinsights',
  '@opentelemetry/*',
]
const zodWhole = {
  name: 'zod',
  message: 'zod/mini in what is deployed: the whole of zod puts 443 KB into the bundle.',
}

export default defineConfig(
  {
    ignores: [
      'eslint.config.js',
      'local/start.js',
      'tools/bootstrap.js',
      'tools/run.js',
      'test/run.js',
      // Its packages are installed by `npm run test:clients` only, so its types are unknown elsewhere.
      'test/clients',
      'infra/hooks/start.mjs',
      'dist',
      'dist.*',
      'browser-client/dist',
      'coverage',
      'node_modules',
      '.local',
      'test/artifacts',
    ],
  },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      eqeqeq: 'error',
      // Prettier wraps code, and leaves comments alone.
      'max-len': ['error', { code: 1_000_000, comments: 120, ignoreUrls: true, ignorePattern: 'eslint-disable' }],
    },
  },
  {
    name: 'shared: knows neither the host nor the laptop, and no SDK outside adapters',
    files: ['shared/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [zodWhole],
          patterns: [
            {
              group: ['**/functions/**', '**/tools/**', '**/local/**', '**/test/**'],
              message: 'Data flows functions → shared → adapters.',
            },
            {
              group: azureSdks,
              message:
                'An Azure SDK or MSAL belongs in an adapter: a file named for what it speaks (x.azure-table.ts).',
            },
            { group: ['@azure/functions'], message: 'shared/ does not know the host.' },
          ],
        },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only functions/compose/index.ts reads the environment.' },
      ],
      'no-console': 'error',
    },
  },
  {
    name: 'adapters: the only place for an SDK',
    files: [
      'shared/**/*.azure-table.ts',
      'shared/**/*.key-vault.ts',
      'shared/**/*.msal.ts',
      'shared/**/*.azure-identity.ts',
      'shared/**/*.azure-core.ts',
      'shared/**/*.application-insights.ts',
    ],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [zodWhole],
          patterns: [
            {
              group: ['**/functions/**', '**/tools/**', '**/local/**', '**/test/**'],
              message: 'Data flows functions → shared → adapters.',
            },
          ],
        },
      ],
    },
  },
  {
    name: 'functions: translate HTTP and decide nothing',
    files: ['functions/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [zodWhole],
          patterns: [
            {
              group: ['**/tools/**', '**/local/**', '**/test/**'],
              message: 'What is deployed does not know the laptop.',
            },
            { group: azureSdks, message: 'An Azure SDK or MSAL belongs in an adapter in shared/.' },
          ],
        },
      ],
      'no-console': 'error',
    },
  },
  {
    name: 'functions: the environment is read in one place',
    files: ['functions/**/*.ts'],
    ignores: ['functions/compose/index.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only functions/compose/index.ts reads the environment.' },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
)
