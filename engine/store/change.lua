-- Replaces the devices of a person, if the record is the one that the caller saw.
--
-- KEYS  hash of people by login, hash of logins by device
-- ARGV  login, record seen, new record, number of former devices, former devices …,
--       devices …
-- Gives 1 when done, 0 if the record is another by now, -1 if a device is taken.

local login = ARGV[1]
if redis.call('HGET', KEYS[1], login) ~= ARGV[2] then
  return 0
end
local first = 5 + tonumber(ARGV[4])
for i = first, #ARGV do
  local owner = redis.call('HGET', KEYS[2], ARGV[i])
  if owner and owner ~= login then
    return -1
  end
end
redis.call('HSET', KEYS[1], login, ARGV[3])
for i = 5, first - 1 do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
for i = first, #ARGV do
  redis.call('HSET', KEYS[2], ARGV[i], login)
end
return 1
