// What the terminal shows at the start: the requests of the documentation as commands, ready to be pasted in their order.

export function welcome (origin: string): string {
  return `ready ${origin}

export RST="${origin}/v1"

curl -X POST "$RST/auth/register" \\
  -H "Content-Type: application/json" \\
  -d '{"username": "hershel", "email": "hershel@example.com", "password": "secureP@ss123", "full_name": "Hershel Moshkovitz"}'

JWT="$(curl -s -X POST "$RST/auth/login" \\
  -H "Content-Type: application/json" \\
  -d '{"username": "hershel", "password": "secureP@ss123"}' | grep -oE 'eyJ[^"]+')"

API_KEY="$(curl -s -X POST "$RST/auth/api-keys" \\
  -H "Authorization: Bearer $JWT" -H "Content-Type: application/json" \\
  -d '{"name": "my-app-key"}' | grep -oE 'rst_[0-9A-Za-z]{42}')"

curl -H "Authorization: Bearer $JWT" "$RST/auth/api-keys"

curl -X POST "$RST/me/notes" \\
  -H "X-API-Key: $API_KEY" -H "Content-Type: application/json" \\
  -d '{"text": "Remember the milk"}'

curl -H "X-API-Key: $API_KEY" "$RST/me/notes"

KEY_ID="$(curl -s -H "Authorization: Bearer $JWT" "$RST/auth/api-keys" | grep -oE -m 1 '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' | head -n 1)"
curl -i -X DELETE -H "Authorization: Bearer $JWT" "$RST/auth/api-keys/$KEY_ID"
`
}
