-- Adds a person, unless the login is there already or a device is somebody else's.
--
-- KEYS  hash of people by login, hash of logins by device
-- ARGV  login, record, devices …
-- Gives the record that stands now, or nothing if a device is taken.

local login, record = ARGV[1], ARGV[2]
local standing = redis.call('HGET', KEYS[1], login)
if standing then
  return standing
end
for i = 3, #ARGV do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    return false
  end
end
redis.call('HSET', KEYS[1], login, record)
for i = 3, #ARGV do
  redis.call('HSET', KEYS[2], ARGV[i], login)
end
return record
