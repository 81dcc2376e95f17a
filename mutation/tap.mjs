// Stands for tap in a test file's program: the file as the worker made it.
export { Test } from 'tap'
export default globalThis.testFile
