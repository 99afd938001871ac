-- SPDX-License-Identifier: Apache-2.0
-- First inputs for fuzz_container: luajit seed_container.lua DIR
local hex = ("0123456789abcdef"):rep(4)
local texts = {
  ' {"container":{"id":"0123456789ab","full_id":"' .. hex .. '","name":"web","type":0,"image":"nginx:1","imagerepo":"nginx",'
    .. '"ip":"172.17.0.2","privileged":true,"Mounts":[{"Source":"/a","Destination":"/b","Mode":"ro","RW":true,'
    .. '"Propagation":"rprivate"},{}],"labels":{"b":"2","a":"1"},"pod_sandbox_labels":{"x":"\\u00e9"},"pod_sandbox_id":"q"}}\n',
  '!{"id":"redis","type":11,"is_pod_sandbox":true,"cni_json":"{}"}',
  " cpu=/docker/" .. hex .. "\0memory=/",
  " cpu=/machine.slice/libpod-" .. hex .. ".scope/container",
  " a=/default/redis\0b=/x/lxc.payload.name/y\0c=/m-lxc\\x2dn.scope\0d=/bpm-job.scope\0e=/a/n.libvirt-lxc",
}
for i, text in ipairs(texts) do
  local f = assert(io.open(("%s/seed%d"):format(arg[1], i), "wb"))
  f:write(text)
  f:close()
end
