package main

import "strings"

// Bodies of the bare rows: what the gate answers.
const (
	acceptedBody = `{"order":"r1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","status":"undecided"}`
	soldOutBody  = `{"type":"about:blank","title":"Sold out","status":409,"code":"sold_out"}`
)

const (
	answerAccepted = "respond `" + acceptedBody + "` 202"
	answerSoldOut  = "respond `" + soldOutBody + "` 409"
)

// The lines of rows that sell. Nothing of this is special to the bench but the limit,
// which nobody reaches.
const (
	gateAlone = "stock_gate POST /buy/{sale}/{token} {\n\tuser {http.request.header.X-User}\n}"

	gateWhole = `session_auth optional {
	require POST /buy/{sale}/{token}
}
access_limit /buy/* 1000 10s by user
` + hiddenPath + `
stock_gate POST /buy/{sale} {
	path required
}`

	hiddenPath = `hidden_path {
	mint POST /path/{sale}
	guard POST /buy/{sale}/{token}
	sale {sale}
}`

	// The bench's tokens are of sessions, and here nobody has one.
	badPath = "hidden_path {\n\tmint POST /path/{sale}\n\tguard POST /buy/{sale}/{token}\n\tsale {sale}\n\tuser {http.request.header.X-User}\n}"

	sellOnRedis  = "flashgate {\n\tredis {env.REDIS_URL}\n\trabbitmq {env.AMQP_URL}\n\tkeys {env.FLASHGATE_KEYS}\n}"
	sellEmbedded = "flashgate {\n\tdata_dir data\n\tkeys {env.FLASHGATE_KEYS}\n}"

	naiveReserve = "route {\n\tnaive {env.REDIS_URL}\n}"
	naiveWhole   = "route {\n\tnaive {env.REDIS_URL} {env.AMQP_URL}\n}"
)

// nginxModules are Debian's.
const (
	nginxLuaModule = "/usr/lib/nginx/modules/ngx_http_lua_module.so"
	nginxModules   = "load_module /usr/lib/nginx/modules/ndk_http_module.so;\nload_module " + nginxLuaModule + ";\n"
)

// lua reports whether the row is a script of nginx.
func (r row) lua() bool { return strings.Contains(r.last, "_by_lua_") }

// The naive script from nginx: one EVALSHA for each request, on connections that each
// worker keeps. REDIS is the server's port, DIGEST the script's.
const (
	nginxLuaSite = `content_by_lua_block {
	local sale, token = string.match(ngx.var.uri, "^/buy/([^/]+)/([^/]+)$")
	local user = ngx.req.get_headers()["X-User"]
	local socket = ngx.socket.tcp()
	socket:settimeout(2000)
	local ok, err = socket:connect("127.0.0.1", REDIS, { pool_size = 256 })
	if not ok then
		return ngx.exit(503)
	end
	local key = "naive:{" .. sale .. "}:"
	local function bulk(s) return "$" .. #s .. "\r\n" .. s .. "\r\n" end
	local _, err = socket:send("*6\r\n" .. bulk("EVALSHA") .. bulk("DIGEST") .. bulk("2") .. bulk(key .. "sale") .. bulk(key .. "buyers") .. bulk(user))
	local reply = not err and socket:receive("*l")
	if not reply then
		return ngx.exit(504)
	end
	socket:setkeepalive(60000, 256)
	if reply ~= ":1" then
		ngx.status = 409
		return ngx.say("refused")
	end
	ngx.status = 202
	ngx.header["Content-Type"] = "application/json"
	ngx.print('{"order":"' .. token .. '","status":"undecided"}')
}`
	// The core library is in a folder of Debian's.
	nginxLuaHTTP = `lua_package_path "/usr/share/lua/5.1/?.lua;;";`
)

// Names of rows that goals speak of.
const (
	soldOutRow   = "sold out"
	endedRow     = "ended"
	upcomingRow  = "not started"
	embeddedSold = "sold out, embedded"
	badPathRow   = "bad path"
	gateRow      = "stock_gate"
	naiveRow     = "naive"
	nginxLua     = "nginx + Lua"
	wholeRow     = "flashgate"
	embeddedRow  = "flashgate, embedded"
	halfRow      = "flashgate, half as fast"
)

// gateGroups measure the gate: what it refuses, what it reserves, the whole way to a 202,
// and the whole way into the database.
func gateGroups() []group {
	accepted := traffic{orders: true}
	reserve := func(name, title string, connections int) group {
		return group{name: name, title: title, traffic: accepted, connections: connections, contains: `"order":`, rows: []row{
			{name: bare, server: caddyServer, last: answerAccepted, status: 202},
			{name: gateRow, server: caddyServer, site: gateAlone, global: sellOnRedis, redis: true, noQueue: true, stock: redisStock, status: 202},
			{name: naiveRow, server: caddyServer, site: naiveReserve, redis: true, stock: naiveStock, status: 202},
			{name: nginxLua, server: nginxServer, last: nginxLuaSite, global: nginxLuaHTTP, redis: true, stock: naiveStock, status: 202},
		}}
	}
	return []group{
		{name: "refused", title: "orders that the gate refuses, 256 connections", traffic: accepted, connections: 256, contains: `"code":`, rows: []row{
			{name: bare, server: caddyServer, last: answerSoldOut, status: 409},
			{name: soldOutRow, server: caddyServer, site: gateAlone, global: sellOnRedis, redis: true, noQueue: true, quiet: true, stock: redisStock, phase: soldOutSale, status: 409},
			{name: endedRow, server: caddyServer, site: gateAlone, global: sellOnRedis, redis: true, noQueue: true, quiet: true, stock: redisStock, phase: endedSale, status: 410},
			{name: upcomingRow, server: caddyServer, site: gateAlone, global: sellOnRedis, redis: true, noQueue: true, quiet: true, stock: redisStock, phase: upcomingSale, status: 403},
			{name: embeddedSold, server: caddyServer, site: gateAlone, global: sellEmbedded, stock: sqliteStock, phase: soldOutSale, status: 409},
			{name: badPathRow, server: caddyServer, site: badPath, global: sellEmbedded, stock: sqliteStock, status: 404},
		}},
		reserve("reserve", "orders reserved, not published, 256 connections", 256),
		reserve("reserve64", "the same, 64 connections", 64),
		reserve("lone", "the same, 2 connections", 2),
		{name: "accept", title: "session, limit, path, reserve, publish, 202; 256 connections", traffic: accepted, connections: 256, contains: `"order":`, rows: []row{
			{name: bare, server: caddyServer, last: answerAccepted, status: 202},
			{name: wholeRow, server: caddyServer, site: gateWhole, global: sellOnRedis, redis: true, queue: true, sessions: true, stock: redisStock, status: 202},
			{name: halfRow, halfOf: wholeRow, status: 202},
			{name: embeddedRow, server: caddyServer, site: gateWhole, global: sellEmbedded, sessions: true, stock: sqliteStock, status: 202},
			{name: naiveRow, server: caddyServer, site: naiveWhole, redis: true, queue: true, sessions: true, stock: naiveStock, status: 202},
		}},
		{name: "orders", title: "the same and into the database, until the last one; 256 connections", traffic: accepted, connections: 256, longer: 3, contains: `"order":`, rows: []row{
			{name: bare, server: caddyServer, last: answerAccepted, status: 202},
			{name: wholeRow, server: caddyServer, site: gateWhole, global: sellOnRedis, redis: true, queue: true, sessions: true, stock: placedStock, status: 202},
			{name: naiveRow, server: caddyServer, site: naiveWhole, redis: true, queue: true, sessions: true, stock: naivePlaced, status: 202},
		}},
	}
}
