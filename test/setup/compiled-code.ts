/**
 * Before each test file: the processes that it starts share their compiled code. The workers themselves do not: each
 * would write the code of all its test files when it ends, for a second of CPU time, and the next run has a new folder.
 */
import { inject } from 'vitest'

process.env.NODE_COMPILE_CACHE = inject('compiledCode')
