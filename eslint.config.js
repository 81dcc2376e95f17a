// The style of the house: neostandard, TypeScript included. `npx eslint --fix .` repairs most of what it finds.
import neostandard from 'neostandard'

export default neostandard({ ts: true, ignores: ['dist/', 'lib/dashboard/files/', 'node_modules/', '.tap/', '.data/'] })
