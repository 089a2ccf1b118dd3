#!/bin/sh
# Installs the Bicep compiler with `dotnet restore` (NuGet) and prints its path: `sh infra/get-bicep.sh [version]`.
# Not needed where `bicep` is on the PATH, or where az or azd has installed it.
set -eu

version=${1:-0.49.2}
case "$(uname -s)-$(uname -m)" in
  Linux-x86_64) platform=linux-x64 ;;
  Linux-aarch64) platform=linux-arm64 ;;
  Darwin-arm64) platform=osx-arm64 ;;
  Darwin-x86_64) platform=osx-x64 ;;
  *)
    echo "No Bicep package for $(uname -s) $(uname -m). Install it by: az bicep install" >&2
    exit 1
    ;;
esac

packages="${NUGET_PACKAGES:-$HOME/.nuget/packages}"
tool="$packages/azure.bicep.commandline.$platform/$version/tools/bicep"

if [ ! -f "$tool" ]; then
  command -v dotnet >/dev/null || {
    echo 'dotnet is missing, and it installs the Bicep compiler. Install the .NET SDK, or Bicep itself with: az bicep install' >&2
    exit 1
  }
  folder="$(mktemp -d)"
  trap 'rm -rf "$folder"' EXIT
  # PackageDownload restores a package without a build. The brackets mean exactly this version.
  cat >"$folder/get-bicep.csproj" <<PROJECT
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>netstandard2.0</TargetFramework>
    <DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>
  </PropertyGroup>
  <ItemGroup>
    <PackageDownload Include="Azure.Bicep.CommandLine.$platform" Version="[$version]" />
  </ItemGroup>
</Project>
PROJECT
  dotnet restore "$folder/get-bicep.csproj" --packages "$packages" >&2
fi

chmod +x "$tool"
echo "$tool"
