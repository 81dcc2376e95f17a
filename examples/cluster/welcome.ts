// What the terminal shows at the start: commands to be pasted in their order.

export function welcome (origin: string, token: string): string {
  return `ready ${origin}

export CLUSTER="${origin}" TOKEN="${token}"

API_KEY="$(curl -s -X POST -H "Authorization: Bearer $TOKEN" "$CLUSTER/v1/me/api-keys" | grep -oE 'sk_live_[0-9A-Za-z]{42}')"

# Either instance knows the key, and both count the same limit: watch x-instance and ratelimit.
for turn in 1 2 3 4; do curl -si -H "X-API-Key: $API_KEY" "$CLUSTER/v1/blocks" | grep -iE '^(HTTP|x-instance|ratelimit:)'; done

# Replaced through one, refused by both.
curl -s -o /dev/null -X POST -H "Authorization: Bearer $TOKEN" "$CLUSTER/v1/me/api-keys"
for turn in 1 2; do curl -si -H "X-API-Key: $API_KEY" "$CLUSTER/v1/blocks" | grep -iE '^(HTTP|x-instance)'; done

curl -s -H "Authorization: Bearer $TOKEN" "$CLUSTER/v1/me/usage?window=1h"
`
}
