-- Removes a person with the devices.
--
-- KEYS  hash of people by login, hash of logins by device
-- ARGV  login
-- Gives the record that was removed, or nothing.

local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then
  return false
end
local devices = cmsgpack.unpack(record).devices
redis.call('HDEL', KEYS[1], ARGV[1])
for i = 1, #devices do
  redis.call('HDEL', KEYS[2], devices[i])
end
return record
